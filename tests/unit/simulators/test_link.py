"""The communication link: delays, losses, outages, order, and random numbers of its own for every channel."""

from math import exp, inf, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evhub.simulators.adapter import Clock
from evhub.simulators.link.link_model import Channel, CommunicationLink, Delay
from evhub.simulators.link.link_simulator import Wire

from ...helpers.sizes import examples

KINDS = ["constant", "uniform", "normal", "exponential", "lognormal"]
some = settings(max_examples=examples(60))


def link(seed=7, **channels):
    return CommunicationLink(channels, np.random.SeedSequence(seed))


def delays(channel, n, seed=7):
    """Delay of each of n messages, inf where it was lost; sent far apart, so that none overtakes another."""
    line = link(seed, pv=channel)
    found = []
    for k in range(n):
        line.send(1e6 * k, "pv", k)
        found.append(line.next_s - 1e6 * k)
        line.due(inf)
    return np.array(found)


# --- delays -----------------------------------------------------------------------------------------------------------


def test_message_arrives_after_its_delay():
    line = link(pv=Channel(Delay("constant", 2.5)))
    assert line.next_s == inf
    line.send(10, "pv", {"p_kw": 3.0})
    assert line.next_s == 12.5
    assert line.due(12.4) == []
    assert line.due(12.5) == [("pv", 10, {"p_kw": 3.0})]
    assert line.next_s == inf


def test_message_without_delay_arrives_at_once():
    line = link(pv=Channel())
    line.send(10, "pv", "now")
    assert line.due(10) == [("pv", 10, "now")]


@pytest.mark.parametrize(
    ("delay", "mean", "spread"),
    [
        (Delay("constant", 2), 2, 0),
        (Delay("uniform", 2, 1), 2, 1 / sqrt(3)),
        (Delay("normal", 5, 0.5), 5, 0.5),
        (Delay("exponential", 2), 2, 2),
        (Delay("lognormal", 2, 1), 2, 1),
        # Half of a normal distribution around 0: mean sqrt(2/pi), variance 1 - 2/pi.
        (Delay("normal", 0, 1), sqrt(2 / pi), sqrt(1 - 2 / pi)),
    ],
)
def test_delays_have_the_moments_asked_for(delay, mean, spread):
    """By the quantiles at the midpoints of 20,000 equal shares of probability: no luck involved."""
    sample = np.array([delay.sample((k + 0.5) / 20_000) for k in range(20_000)])
    assert sample.mean() == pytest.approx(mean, rel=2e-3)
    assert sample.std() == pytest.approx(spread, rel=5e-3, abs=1e-12)


def test_drawn_delays_follow_the_distribution():
    """Kolmogorov-Smirnov distance to the exponential distribution, 1 % level."""
    sample = np.sort(delays(Channel(Delay("exponential", 2)), 2000))
    distance = np.abs(1 - np.exp(-sample / 2) - (np.arange(2000) + 0.5) / 2000).max()
    assert distance < 1.63 / sqrt(2000)
    assert np.median(delays(Channel(Delay("lognormal", 2, 1)), 2000)) == pytest.approx(2 / sqrt(1.25), rel=0.05)


@given(
    st.sampled_from(KINDS),
    st.floats(0.01, 100),
    st.floats(0, 1),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
)
def test_delays_are_finite_never_negative_and_rise_with_the_probability(kind, mean, ratio, u, v):
    delay = Delay(kind, mean, mean * ratio)
    low, high = sorted([u, v])
    assert 0 <= delay.sample(low) <= delay.sample(high) < inf


def test_extreme_probabilities_are_harmless():
    for kind in KINDS:
        assert 0 <= Delay(kind, 3, 2).sample(0.0) <= Delay(kind, 3, 2).sample(1 - 2**-53) < inf


# --- losses and outages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.5, 1.0])
def test_share_of_lost_messages_is_the_loss_rate(loss):
    """Within 4 standard deviations of the binomial distribution."""
    n = 4000
    lost = np.isinf(delays(Channel(loss=loss), n)).mean()
    assert abs(lost - loss) <= 4 * sqrt(loss * (1 - loss) / n)


def test_losses_do_not_come_in_bursts():
    """Neighbours are lost together as often as independence says, within 4 standard deviations."""
    lost = np.isinf(delays(Channel(loss=0.3), 4000))
    assert (lost[1:] & lost[:-1]).mean() == pytest.approx(0.09, abs=4 * sqrt(0.09 * 0.91 / 4000))


def test_messages_sent_in_an_outage_are_lost_and_those_under_way_arrive():
    line = link(pv=Channel(Delay("constant", 3), outages=((10, 20), (30, inf))))
    for t in [8, 10, 19, 20, 29, 30, 1000]:
        line.send(t, "pv", t)
    assert [payload for _, _, payload in line.due(inf)] == [8, 20, 29]


def test_outage_of_one_device_leaves_the_others():
    line = link(pv=Channel(outages=((0, 10),)), bess=Channel())
    line.send(5, "pv", 1)
    line.send(5, "bess", 2)
    assert line.due(5) == [("bess", 5, 2)]


# --- order ------------------------------------------------------------------------------------------------------------


def overtaken(seed_range=range(100)):
    """A link on which the second message overtakes the first."""
    for seed in seed_range:
        line = link(seed, pv=Channel(Delay("uniform", 5, 5)))
        line.send(0, "pv", "old")
        first = line.next_s
        line.send(1, "pv", "new")
        if line.next_s < first:
            return line, first
    raise AssertionError("no seed lets a message overtake another")


def test_overtaken_message_is_dropped_on_arrival():
    line, first = overtaken()
    assert line.due(line.next_s) == [("pv", 1, "new")]
    assert line.next_s == first
    assert line.due(first) == []


def test_overtaken_message_is_dropped_when_both_are_fetched_together():
    line, _ = overtaken()
    assert line.due(inf) == [("pv", 1, "new")]


def test_messages_of_one_instant_keep_the_order_of_sending():
    line = link(pv=Channel(), bess=Channel())
    for k in range(5):
        line.send(0, "bess" if k % 2 else "pv", k)
    assert [payload for _, _, payload in line.due(0)] == [0, 1, 2, 3, 4]


def test_payloads_that_cannot_be_compared_do_not_disturb_the_order():
    line = link(pv=Channel(Delay("constant", 1)))
    line.send(0, "pv", {"p_kw": np.zeros(3)})
    line.send(0, "pv", {"p_kw": np.ones(3)})
    assert len(line.due(1)) == 2


messages = st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["pv", "bess"])), max_size=40)


@some
@given(messages, st.sampled_from(KINDS), st.integers(0, 2**32), st.lists(st.floats(0, 200), max_size=20))
def test_every_channel_delivers_in_the_order_of_sending(sent, kind, seed, looks):
    channel = Channel(Delay(kind, 3, 2), loss=0.1)
    line = link(seed, pv=channel, bess=channel)
    t = 0.0
    for number, (wait, name) in enumerate(sent):
        t += wait
        line.send(t, name, number)
    got = [message for look in [*sorted(looks), inf] for message in line.due(look)]
    for name in ("pv", "bess"):
        numbers = [payload for channel, _, payload in got if channel == name]
        assert numbers == sorted(set(numbers))
    assert line.next_s == inf


# --- age --------------------------------------------------------------------------------------------------------------


def ages(channel, until, poll_s=1.0):
    """Age of the news at every second, as a controller works it out from what the wire tells it."""
    wire = Wire(Clock(1.0, until), channels={"pv": channel}, seed=np.random.SeedSequence(1), poll_s=poll_s)
    found = []
    for t in range(until):
        wire.update(t, {})
        found.append(t - wire.changed["sampled_s"]["pv"])
    return found


def test_age_counts_from_the_sending_of_the_last_message_in():
    """Sent every 4 s, 2 s under way; the first one is lost, and until the second one is in, the start counts."""
    lost_at_0 = Channel(Delay("constant", 2), outages=((0, 1),))
    assert ages(lost_at_0, 12, poll_s=4.0) == [0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3]


def test_age_grows_through_an_outage_beyond_the_threshold():
    """A threshold of 5 s (Leal et al. 2024, section 3.6), polled every second, interrupted from 10 to 20 s."""
    interrupted = Channel(Delay("constant", 0.2), outages=((10, 20),))
    assert [t for t, age_s in enumerate(ages(interrupted, 30)) if age_s > 5] == list(range(15, 21))


def test_unknown_channel_is_an_error():
    with pytest.raises(KeyError, match="pv"):
        link().send(0, "pv", 1)


# --- determinism ------------------------------------------------------------------------------------------------------

NOISY = Channel(Delay("lognormal", 2, 1), loss=0.2)


def arrivals(names, seed=7, channel=NOISY):
    line = link(seed, **dict.fromkeys(names, channel))
    for t in range(200):
        for name in names:
            line.send(t, name, t)
    return [message for message in line.due(inf) if message[0] == "pv"]


def test_same_seed_gives_the_same_arrivals_and_another_seed_others():
    assert arrivals(["pv"]) == arrivals(["pv"])
    assert arrivals(["pv"]) != arrivals(["pv"], seed=8)


def test_other_channels_before_or_after_change_nothing():
    assert arrivals(["bess", "pv", "dg"]) == arrivals(["pv"])


def test_channels_do_not_share_their_luck():
    line = link(pv=NOISY, bess=NOISY)
    lost = {"pv": [], "bess": []}
    for t in range(200):
        for name, found in lost.items():
            line.send(t, name, t)
            found.append(not line.due(inf))
    assert lost["pv"] != lost["bess"]


def test_loss_rate_changes_no_delay():
    sure, lossy = (delays(Channel(Delay("lognormal", 2, 1), loss=loss), 200) for loss in (0.0, 0.3))
    arrived = np.isfinite(lossy)
    assert 100 < arrived.sum() < 200
    assert (lossy[arrived] == sure[arrived]).all()


def test_outage_changes_no_later_message():
    cut = Channel(NOISY.delay, NOISY.loss, outages=((50, 100),))
    before = [m for m in arrivals(["pv"]) if m[1] >= 105]
    after = [m for m in arrivals(["pv"], channel=cut) if m[1] >= 105]
    assert before == after


def test_spawned_seeds_of_two_links_differ():
    seeds = np.random.SeedSequence(7).spawn(2)
    first, second = (CommunicationLink({"pv": NOISY}, seed) for seed in seeds)
    for line in (first, second):
        for t in range(50):
            line.send(t, "pv", t)
    assert first.due(inf) != second.due(inf)


# --- input ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Delay("gauss"), "kind must be one of constant, uniform, normal, exponential, lognormal, got gauss"),
        (lambda: Delay("constant", -1), "mean_s must be at least 0 and finite, got -1"),
        (lambda: Delay("normal", 1, inf), "spread_s must be at least 0 and finite, got inf"),
        (lambda: Delay("uniform", 1, 2), "spread_s must be at most mean_s 1 for uniform, got 2"),
        (lambda: Delay("lognormal", 0, 1), "mean_s must be > 0 for lognormal, got 0"),
        (lambda: Channel(loss=1.5), r"loss must be within 0\.\.1, got 1.5"),
        (lambda: Channel(outages=((5, 5),)), r"outages must end after they begin, got 5\.\.5"),
    ],
)
def test_settings_outside_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_lognormal_has_the_quantiles_of_its_logarithm():
    """84.13 % of it lie below exp(mu + sigma)."""
    sigma = sqrt(np.log(1.25))
    mu = np.log(2) - sigma**2 / 2
    assert Delay("lognormal", 2, 1).sample(0.8413447460685429) == pytest.approx(exp(mu + sigma))
