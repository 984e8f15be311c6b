"""OpenDSS decks: what is read, with known impedances, and what is refused with its line."""

from __future__ import annotations

import numpy as np
import pytest

from evhub.analysis.dispatchability.opendss.opendss_deck import Deck, read_deck

from ...helpers.power_flow import largest_error

DECK = """
clear   ! a comment
new circuit.small basekv=115 bus1=src
new transformer.sub phases=3 windings=2 xhl=(8 1000 /)
~ wdg=1 bus=src kv=115 kva=5000 %r=.1
~ wdg=2 bus=head kv=4.16 kva=5000 %r=.1
new transformer.reg phases=1 xhl=0.01 %loadloss=0 buses=[head.2 reg.2] kvs=[2.4 2.4] kvas=[1666 1666]
new linecode.two nphases=2 units=mi   // c before b
~ rmatrix=(1.3 | 0.2 1.4) xmatrix=(1.35 | 0.46 1.36)
new line.lat phases=2 bus1=head.3.2 bus2=end.3.2 linecode=two length=2640 units=ft
new load.d bus1=end.2.3 phases=1 conn=delta kw=100 kvar=50
new load.y bus1=end.3 phases=1 kw=10 kvar=5
new capacitor.k phases=1 bus1=end.3 kvar=20
solve
"""


def read(*commands: str, **options) -> Deck:
    """A deck of these commands behind a source of 4.16 kV."""
    return read_deck("\n".join(["new circuit.c basekv=4.16 bus1=s pu=1.02", *commands]), **options)


def good(*commands: str, **options) -> Deck:
    deck = read(*commands, **options)
    assert deck.problems == []
    return deck


def told(deck: Deck) -> list[str]:
    return [f"{key} {value} {allowed}" for key, value, allowed in deck.problems]


# --- what is read -----------------------------------------------------------------------------------------------------


def test_a_deck_is_understood():
    deck = read_deck(DECK, ratios={"Reg": 1.05})
    assert deck.problems == []
    assert deck.feeder.source.bus == "head"
    assert deck.feeder.kv == 4.16
    line = next(line for line in deck.feeder.lines if line.name == "lat")
    assert line.phases == "bc"
    assert line.z_ohm[2, 2] == pytest.approx(0.5 * (1.3 + 1.35j))  # the code's first phase is c
    assert line.z_ohm[1, 1] == pytest.approx(0.5 * (1.4 + 1.36j))
    assert line.z_ohm[1, 2] == line.z_ohm[2, 1] == pytest.approx(0.5 * (0.2 + 0.46j))
    assert deck.feeder.ratios == {"transformer.reg": (1.0, 1.05, 1.0)}
    assert deck.p_kw["end"].sum() == pytest.approx(110.0)
    assert deck.q_kvar["end"].sum() == pytest.approx(50.0 + 5.0 - 20.0)
    # a delta load between b and c in balanced voltages: S (1/2 -+ j/(2 sqrt 3))
    assert deck.p_kw["end"][1] == pytest.approx(50.0 + 50.0 / (2 * np.sqrt(3)))


@pytest.mark.parametrize(
    ("code", "line", "length"),
    [("units=mi", "units=ft", 0.5), ("units=mi", "", 2640), ("", "units=ft", 2640), ("units=none", "units=ft", 2640)],
)
def test_lengths_are_converted_only_between_two_units(code, line, length):
    text = DECK.replace("units=mi", code).replace("length=2640 units=ft", f"length=2640 {line}")
    deck = read_deck(text)
    assert deck.problems == []
    lateral = next(line for line in deck.feeder.lines if line.name == "lat")
    assert lateral.z_ohm[2, 2] == pytest.approx(length * (1.3 + 1.35j))


def test_matrices_of_a_line_are_read():
    text = DECK.replace("linecode=two length=2640 units=ft", "rmatrix=(1 | 0.5 2) xmatrix=(3 | 0.25 4) length=2")
    (lateral,) = (line for line in read_deck(text).feeder.lines if line.name == "lat")
    assert lateral.z_ohm[2, 2] == 2.0 + 6.0j
    assert lateral.z_ohm[1, 1] == 4.0 + 8.0j
    assert lateral.z_ohm[1, 2] == lateral.z_ohm[2, 1] == 1.0 + 0.5j


@pytest.mark.parametrize(
    "command",
    [
        "new line.l bus1=s.1.3 bus2=e.1.3 phases=2 r1=1 x1=2 r0=4 x0=8 length=2",
        "new linecode.k nphases=2 r1=1 x1=2 r0=4 x0=8 units=km\n"
        "new line.l bus1=s.1.3 bus2=e.1.3 linecode=k length=2000 units=m",
        "new line.l s.1.3 e.1.3 phases=2 rmatrix=[2 1 | 1 2] xmatrix={4 2 | 2 4} length=2  ! by place",
        "set defaultbasefrequency=50\n"
        "new line.l bus1=s.1.3 bus2=e.1.3 phases=2 r1=1 x1=(2 60 50 / /) r0=4 x0=(8 1.2 /) length=2",
    ],
)
def test_symmetrical_components_of_two_phases(command):
    """Self (2 z1 + z0) / 3, mutual (z0 - z1) / 3; the last is given at 50 Hz, in a circuit of 60 Hz."""
    (line,) = good(command).feeder.lines
    assert line.phases == "ac"
    assert line.z_ohm[0, 0] == line.z_ohm[2, 2] == pytest.approx(4.0 + 8.0j)
    assert line.z_ohm[0, 2] == pytest.approx(2.0 + 4.0j)
    assert not line.z_ohm[1].any()


@pytest.mark.parametrize("z", ["r1=1 x1=2 r0=4 x0=8", "r1=1 x1=2"])
def test_a_line_of_one_phase_has_its_positive_sequence(z):
    (line,) = good(f"new line.l bus1=s.2 bus2=e.2 phases=1 {z} length=2").feeder.lines
    assert line.z_ohm[1, 1] == 2.0 + 4.0j


@pytest.mark.parametrize(
    ("line", "ohm"),
    [
        ("linecode=k length=500 units=m switch=yes", 0.001 + 0.001j),
        ("switch=yes linecode=k length=500 units=m", 1.0 + 1.0j),
        ("r1=3 x1=3 r0=3 x0=3 length=5 switch=y", 0.001 + 0.001j),
        ("switch=y r1=3 x1=0 r0=3 x0=0 length=5", 15.0),
    ],
)
def test_a_switch_takes_the_place_of_what_stands_before_it(line, ohm):
    deck = good("new linecode.k r1=2 x1=2 r0=2 x0=2 units=km", f"new line.l bus1=s bus2=e {line}")
    assert deck.feeder.lines[0].z_ohm == pytest.approx(ohm * np.eye(3))


def test_a_switch_without_impedances_has_a_thousandth_of_an_ohm():
    (line,) = good("new line.l bus1=s bus2=e switch=yes").feeder.lines
    assert line.z_ohm == pytest.approx(0.001 * (1 + 1j) * np.eye(3))


def test_impedances_behind_a_second_transformer_are_referred_to_the_feeder():
    """2 % of (4.16 kV)^2 / 0.5 MVA, and 0.1 ohm at 0.48 kV."""
    deck = good(
        "new transformer.t windings=2 buses=[s low] conns=[wye wye] kvs=[4.16 0.48] kva=500 xhl=2 %rs=[.4 .6]",
        "new line.l bus1=low bus2=e r1=.1 x1=.1 r0=.1 x0=.1",
        "new line.more bus1=s bus2=z switch=yes",
    )
    lines = {line.name: line for line in deck.feeder.lines}
    assert lines["transformer.t"].z_ohm == pytest.approx((0.01 + 0.02j) * 4.16**2 / 0.5 * np.eye(3))
    assert lines["l"].z_ohm[1, 1] == pytest.approx((0.1 + 0.1j) * (4.16 / 0.48) ** 2)
    assert deck.feeder.ratios == {}


BANK = "new line.other bus1=s bus2=z switch=yes\nnew transformer.t"  # not the substation


@pytest.mark.parametrize(
    ("transformer", "ohm"),
    [
        ("phases=1 buses=[s.1 e.1] kvs=[2.4 .24] kva=100", 0.02 * 2.4**2 / 0.1),
        ("phases=2 buses=[s.1.2 e.1.2] kvs=[4.16 .48] kva=100", 0.02 * (4.16**2 / 3) / 0.05),
        ("phases=3 buses=[s e] kvs=[4.16 .48] kva=100", 0.02 * 4.16**2 / 0.1),
        ("phases=3 buses=[s e] kvs=[4.16 .48] wdg=2 kva=100", 0.02 * 4.16**2 / 0.1),
        ("phases=3 buses=[s e] kvs=[4.16 .48] kva=100 taps=[1 1.1]", 0.02 * 1.1**2 * 4.16**2 / 0.1),
        ("phases=3 buses=[s e] kvs=[4.16 .48] kva=100 taps=[1.1 1]", 0.02 * 4.16**2 / 0.1),
        ("phases=3 buses=[e s] kvs=[.48 4.16] kva=100 taps=[1.1 1]", 0.02 * 1.1**2 * 4.16**2 / 0.1),
        ("phases=3 buses=[s e] kvs=[4.16 .48] kva=100 %rs=[9 9] %loadloss=2 wdg=2 %r=.5", 0.015 * 4.16**2 / 0.1),
    ],
)
def test_impedance_of_a_transformer_is_that_of_each_phase_behind_its_taps(transformer, ohm):
    """The percentage of the square of the voltage of a phase by its share of the power."""
    line = good(f"{BANK} %rs=[1 1] xhl=0 {transformer}").feeder.lines[-1]
    assert line.z_ohm[0, 0] == pytest.approx(ohm)


@pytest.mark.parametrize("like", ["new transformer.t like=k", "new transformer.t xfmrcode=x"])
def test_what_follows_a_likeness_is_of_the_first_winding(like):
    windings = "windings=2 wdg=1 kv=4.16 kva=100 wdg=2 kv=.48"
    deck = good(
        "new line.other bus1=s bus2=z switch=yes",
        f"new xfmrcode.x {windings}",
        f"new transformer.k {windings} bus=l wdg=1 bus=s enabled=no",
        f"{like} bus=s tap=1.1 wdg=2 bus=e",
    )
    assert [(line.start, line.end) for line in deck.feeder.lines] == [("s", "z"), ("s", "e")]
    assert deck.feeder.ratios["transformer.t"] == pytest.approx((1 / 1.1,) * 3)


@pytest.mark.parametrize("windings", ["buses=[s low] kvs=[4 .4] taps=[1 1.1]", "buses=[low s] kvs=[.4 4] taps=[1.1 1]"])
def test_the_voltage_behind_the_substation_is_that_of_its_turns(windings):
    deck = good(f"new transformer.t kva=500 {windings}", "new line.l bus1=low bus2=e switch=yes")
    assert (deck.feeder.source.bus, deck.feeder.kv) == ("low", 0.4)
    assert deck.feeder.source.v_pu == pytest.approx((1.02 * 4.16 / 4.0 * 1.1,) * 3)


def test_one_transformer_at_the_source_is_the_substation_and_its_taps_count():
    deck = good("new transformer.t buses=[s low] conns=[delta wye] kvs=[4.16 .4] kva=500 taps=[1 1.05]",
                "new line.l bus1=low bus2=e switch=yes")  # fmt: skip
    assert (deck.feeder.source.bus, deck.feeder.kv) == ("low", pytest.approx(0.4))
    assert deck.feeder.source.v_pu == pytest.approx((1.02 * 1.05,) * 3)
    deck = read("new line.l bus1=s bus2=e switch=yes", v_pu=(1.0, 1.0, 1.0))
    assert deck.feeder.source.v_pu == (1.0, 1.0, 1.0)


def test_regulators_of_one_phase_become_one_line_with_their_taps():
    deck = good(
        "new transformer.ra phases=1 buses=[s.1 r.1] kvs=[2.4 2.4] kvas=[1000 1000] xhl=1 %loadloss=1 taps=[1 1.05]",
        "new transformer.rb like=ra buses=[r.2 s.2]   ! the other way round",
        "new regcontrol.ca transformer=ra vreg=122",
        "new regcontrol.cb transformer=rb",
    )
    (line,) = deck.feeder.lines
    assert (line.start, line.end, line.phases) == ("s", "r", "ab")
    assert line.z_ohm[0, 0] == pytest.approx((0.01 + 0.01j) * (1.05 * 2.4) ** 2)
    assert deck.feeder.ratios == {line.name: pytest.approx((1.05, 1 / 1.05, 1.0))}
    deck = good("new transformer.g buses=[s r] kvs=[4.16 4.16] kva=5000 xhl=1", ratios={"g": 1.04})
    assert deck.feeder.ratios == {"transformer.g": (1.04, 1.04, 1.04)}


@pytest.mark.parametrize(
    ("command", "p", "q"),
    [
        ("load.l bus1=e kw=300 kvar=90", [100, 100, 100], [30, 30, 30]),
        ("load.l bus1=e kw=300 pf=0.6 model=2 vminpu=.7 kv=4.16", [100] * 3, [400 / 3] * 3),
        ("load.l bus1=e.2 phases=1 kva=100 pf=-0.8", [0, 80, 0], [0, -60, 0]),
        ("load.l bus1=e.1.3 phases=2 kw=20 kvar=4", [10, 0, 10], [2, 0, 2]),
        ("load.l phases=1 e.2.0 2.4 kw=88", [0, 88, 0], [0, 88 * np.tan(np.arccos(0.88)), 0]),
        ("load.l bus1=e.1.2 phases=1 kw=60 kvar=0", [30, 30, 0], [-30 / 3**0.5, 30 / 3**0.5, 0]),
        ("capacitor.l bus1=e kvar=[30 60] states=[1 0] conn=delta", [0] * 3, [-10] * 3),
        ("capacitor.l bus1=e.3 bus2=e.0 phases=1 kvar=5", [0] * 3, [0, 0, -5]),
    ],
)
def test_power_by_phase(command, p, q):
    deck = good("new line.l bus1=s bus2=e switch=yes", f"new {command}")
    assert deck.p_kw["e"] == pytest.approx(np.array(p, dtype=float), abs=1e-9)
    assert deck.q_kvar["e"] == pytest.approx(np.array(q, dtype=float), abs=1e-9)


@pytest.mark.parametrize(
    ("commands", "power"),
    [
        ("new load.l bus1=e kvar=9 kw=30 pf=.6", 30 + 40j),
        ("new load.l bus1=e kw=30 pf=.6 kvar=9", 30 + 9j),
        ("new load.l bus1=e kw=30 kvar=-9\nload.l.kw=60", 60 - 18j),
        ("new load.k bus1=s kw=30 kvar=9\nnew load.l like=k bus1=e kw=60", 60 + 18j),
        ("new load.l bus1=e kw=30 kvar=9\nload.l.pf=.6", 30 + 9j),
        ("new load.l bus1=e kw=30 pf=.6\nload.l.kvar=9\nload.l.kw=60", 60 + 18j),
        ("new load.l bus1=e kva=30 pf=.6\nload.l.pf=.8", 24 + 18j),
        ("new load.l bus1=e kva=30 pf=.6\nload.l.kvar=9", 18 + 9j),
    ],
)
def test_power_of_a_load_that_is_changed_is_that_of_opendss(commands, power):
    deck = good("new line.l bus1=s bus2=e switch=yes", *commands.split("\n"))
    assert deck.p_kw["e"].sum() + 1j * deck.q_kvar["e"].sum() == pytest.approx(power)


def test_an_open_switch_can_be_closed_and_a_likeness_is_enabled():
    deck = good(
        "new line.one bus1=s bus2=a switch=yes enabled=no",
        "new line.two like=one",
        "open line.two 1",
        "close line.two 1",
        "close line.one 1",
        "new line.three like=one bus1=a bus2=b",
        "open line.three 2",
    )
    assert [line.name for line in deck.feeder.lines] == ["two"]


def test_later_commands_change_earlier_elements():
    deck = good(
        "new line.one bus1=s bus2=a switch=yes",
        "new line.two bus1=a bus2=b switch=yes",
        "new line.tie bus1=s bus2=b switch=yes",
        "new line.old bus1=s bus2=x switch=yes enabled=no",
        "new load.l1 bus1=a kw=30 kvar=0",
        "new load.l2 like=l1 bus1=b",
        "new loadshape.day npts=24",
        "batchedit load..* kw=60 kvar=0",
        "load.l2.kvar=6",
        "edit load.l1 kw=90 kvar=0",
        "open line.tie 2",
        "disable line.two",
        "enable line.two",
    )
    assert deck.feeder.buses == ("s", "a", "b")
    assert deck.p_kw["a"] == pytest.approx([30, 30, 30])
    assert deck.p_kw["b"] + 1j * deck.q_kvar["b"] == pytest.approx(np.full(3, 20 + 2j))


def test_a_deck_names_others_whose_case_may_differ(tmp_path):
    (tmp_path / "Codes.DSS").write_text("new linecode.k nphases=3 r1=1 x1=1 r0=1 x0=1\nnew linecode.bad nphasis=3\n")
    (tmp_path / "main.dss").write_text("clear\nnew circuit.c basekv=4.16\nredirect codes.dss\n")
    deck = read_deck("compile main.dss\nnew line.l bus1=sourcebus bus2=e linecode=K\nredirect none.dss", tmp_path)
    assert [line.z_ohm[0, 0] for line in deck.feeder.lines] == [1 + 1j]
    assert told(deck)[0].startswith("Codes.DSS, line 2: linecode.bad.nphasis 3 must be left out, or be one of basefreq")
    assert told(deck)[0].endswith("did you mean nphases?")
    assert told(deck)[1] == f"line 3 none.dss must be a file; looked in {tmp_path}"
    (tmp_path / "main.dss").write_text("redirect main.dss")
    assert "must not name a deck that names it" in told(read_deck("redirect main.dss", tmp_path))[0]


def test_keys_that_change_nothing_are_left_out():
    deck = good(
        "set voltagebases=[4.16 .48]", "set mode=daily number=24", "set loadmult=1", "buscoords xy.csv", "calcv",
        "new energymeter.m line.l 1", "new monitor.m element=line.l terminal=1",
        "new line.l bus1=s bus2=e r1=1 x1=1 r0=1 x0=1 c1=0 c0=0 normamps=400 emergamps=600 faultrate=.1 repair=3",
        "new load.l bus1=e kw=3 kvar=1 daily=day yearly=year status=variable class=1 vmaxpu=1.2 model=5 numcust=3",
        "/* all", "of this */ show voltages ln", "plot profile", "solve",
    )  # fmt: skip
    assert [line.name for line in deck.feeder.lines] == ["l"]
    assert (deck.p_kw["e"].sum(), deck.q_kvar["e"].sum()) == pytest.approx((3.0, 1.0))


def test_linear_voltages_of_such_a_deck_are_right_to_second_order():
    """Transformer, laterals, symmetrical components, delta loads, a capacitor, against power-grid-model."""
    deck = good(
        "new linecode.k nphases=3 r1=.446 x1=.071 r0=1.505 x0=.083 units=km",
        "new line.l1 bus1=s bus2=a linecode=k length=400 units=m",
        "new line.l2 bus1=a.1.3 bus2=b.1.3 phases=2 r1=.5 x1=.2 r0=1 x0=.3",
        "new line.l3 bus1=a bus2=z switch=yes",
        "new transformer.t buses=[z low] kvs=[4.16 0.48] kva=300 xhl=4",
        "new line.l4 bus1=low bus2=e linecode=k length=40 units=m",
        "new line.l5 bus1=e.2 bus2=f.2 phases=1 r1=.01 x1=.01 r0=.02 x0=.02",
        "new load.a bus1=b.1.3 phases=1 kw=80 kvar=30",
        "new load.b bus1=e conn=delta kw=60 pf=.9",
        "new load.c bus1=f.2 phases=1 kw=12 pf=.95",
        "new capacitor.d bus1=a kvar=60",
    )
    whole, tenth = largest_error(deck), largest_error(deck, 0.1)
    assert 1e-4 < whole < 0.01
    assert tenth < whole / 50.0


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("linecode=two", "linecode=none", "line 10: line.lat.linecode none must be a line code of the deck: two"),
        ("linecode=two", "linecode=two phases=1", "line 10: line.lat.phases 1 must be 2, as of line code two"),
        ("linecode=two", "geometry=pole", "line 10: line.lat.geometry pole must be replaced by rmatrix and xmatrix"),
        ("linecode=two", "linecode=two r1=3", "line 10: line.lat.x1 nothing must be given"),
        ("linecode=two", "r1=1 x1=1", "line 10: line.lat.r0 nothing must be given"),
        ("linecode=two", "", "line 10: line.lat.linecode nothing must be given, or rmatrix and xmatrix"),
        ("linecode=two", "lincode=two", "line 10: line.lat.lincode two must be left out, or be one of"),
        ("length=2640", "length=0", "line 10: line.lat.length 0 must be > 0"),
        ("units=ft", "units=rod", "line 10: line.lat.units rod must be none or one of mi, kft"),
        ("bus2=end.3.2", "bus2=end.3.1", "line 10: line.lat.bus2 end.3.1 must have the same phases"),
        ("bus2=end.3.2", "bus2=end.3.4", "line 10: line.lat.bus2 end.3.4 must have 2 of the nodes 1, 2, 3"),
        ("(1.3 | 0.2 1.4)", "(1.3 | 0.2 x)", "line 8: linecode.two.rmatrix 1.3 | 0.2 x must be 2 rows"),
        ("(1.3 | 0.2 1.4)", "(1.3 0.1 | 0.2 1.4)", "line 8: linecode.two.rmatrix 0.2 in row 2, column 1 and 0.1 in"),
        ("units=mi", "units=rod", "line 8: linecode.two.units rod must be none or one of mi, kft"),
        ("solve", "batchedit laod..* kw=3", "line 14 laod..* must be one of circuit, line, linecode"),
        ("new load.y", "new pvsystem.y", "line 12: pvsystem.y pvsystem must be left out: PV units stand in pvs"),
        ("new load.y", "new wind.y", "line 12: wind.y wind must be left out: read are circuit, line, linecode"),
        ("new load.y", "new load.d", "line 12: load.d d must be a name of its own; line 11 has it"),
        ("kw=10 kvar=5", "kw=10 kvar=lots", "line 12: load.y.kvar lots must be a number"),
        ("kw=10 kvar=5", "kw=-10 pf=.9", "line 12: load.y.kw -10 must be >= 0; what generates is a unit of the study"),
        ("kw=10 kvar=5", "kw=10 pf=2", "line 12: load.y.pf 2 must be > 0 and <= 1"),
        ("kw=10 kvar=5", "xfkva=10", "line 12: load.y.xfkva 10 must be left out"),
        ("bus1=end.3 phases=1 kw", "bus1=end.1 phases=1 kw", "line 12: load.y.bus1 a must have phases that bus end"),
        ("bus1=end.3 phases=1 kw", "bus1=far.1 phases=1 kw", "line 12: load.y.bus1 far must be a bus that lines"),
        ("kvar=20", "kvar=lots", "line 13: capacitor.k.kvar lots must be a number"),
        ("solve", "set defaultbasefrequency=fifty", "line 14: set defaultbasefrequency fifty must be a number"),
        ("kvar=20", "kvar=20 bus2=reg.2", "line 13: capacitor.k.bus2 reg.2 must be left out: series"),
        ("[head.2 reg.2]", "[head.2 reg.2 t.2]", "line 7: transformer.reg.buses head.2 reg.2 t.2 must be two values"),
        ("[head.2 reg.2]", "[head.2.3 reg.2.3]", "line 7: transformer.reg.bus head.2.3 must be one phase; between two"),
        ("[head.2 reg.2]", "[head.2 reg.1]", "line 7: transformer.reg.bus reg.1 must have the phases of the other"),
        ("phases=1 xhl", "phases=1 windings=3 xhl", "line 7: transformer.reg.windings 3 must be two windings"),
        ("solve", "dance", "line 14 dance must be new, edit"),
        ("solve", "new line.x bus1=end.3 bus2=head.3 phases=1 switch=y", "line 14: line.x end - head must not close"),
        ("solve", "new line.x bus1=far bus2=away switch=y", "line 14: line.x far - away must be connected with the"),
        ("solve", "new line.x bus1=end bus2=away switch=y", "line 14: line.x.phases abc must be phases that bus end"),
        ("solve", "new transformer.t buses=[head e] conns=[delta wye] kvs=[4.16 .4] kva=9\nsolve",
         "line 14: transformer.t.conn wye and delta must be wye and wye, or delta and delta"),
        ("solve", "new transformer.t buses=[head e] conns=[d d] kvs=[4.16 .4] kva=9\nnew load.z bus1=e.1 phases=1",
         "line 15: load.z.bus1 e must be between phases: behind a transformer in delta"),
        ("solve", "new regcontrol.c transformer=reg", "line 14: regcontrol.c a control must come with ratios.reg"),
        ("solve", "redirect more_loads.dss", "line 14 more_loads.dss must be a file of the deck"),
        ("solve", "edit load.z kw=3", "line 14: load.z z must be a load that stands further up"),
        ("solve", "new load.z like=x", "line 14: load.z.like x must be a load that stands further up"),
        ("solve", "Set loadmult=2", "line 14: set loadmult 2 must be 1"),
        ("solve", "set frequency=50", "line 14: set frequency 50 must be an option that draws or solves"),
        ("new circuit.small basekv=115 bus1=src", "", "deck no circuit must have new circuit.NAME"),
    ],
)  # fmt: skip
def test_what_a_deck_says_that_is_not_understood_is_told_with_its_line(old, new, refused):
    problems = told(read_deck(DECK.replace(old, new)))
    assert any(text.startswith(refused) for text in problems), problems


def test_all_problems_are_told_at_once_but_not_those_that_follow_from_them():
    text = DECK.replace("linecode=two", "geometry=pole").replace("kvar=5\n", "kvar=lots\n").replace("xhl=(8", "xlh=(8")
    assert [problem.key for problem in read_deck(text).problems] == [
        "line 4: transformer.sub.xlh",
        "line 10: line.lat.geometry",
        "line 12: load.y.kvar",
    ]


def test_many_problems_of_one_kind_are_told_by_the_first():
    deck = read(*(f"new line.l{k} geometry=pole bus1=s bus2=b{k}" for k in range(40)))
    (problem,) = deck.problems
    assert problem.key == "line 2: line.l0.geometry"
    assert problem.allowed.endswith("(the first of 40 such lines)")


def test_a_bad_line_code_is_told_once():
    text = DECK.replace("xmatrix=(1.35", "xmatrix=(-1.35")
    deck = read_deck(f"{text}\nnew line.more phases=2 bus1=end.3.2 bus2=far.3.2 linecode=two")
    assert told(deck) == ["line 8: linecode.two.rmatrix (1.3-1.35j) must have r >= 0 and x >= 0 of each phase"]


def test_an_unknown_transformer_with_a_ratio_is_told():
    (problem,) = read_deck(DECK, ratios={"rag": 1.0}).problems
    assert problem.key == "ratios.rag"
    assert "reg" in problem.allowed
