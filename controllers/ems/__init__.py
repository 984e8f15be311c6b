"""The energy management that respects its network: process 400 of Hafiz & Ishchenko 2023, US 2023/0182605 A1."""
