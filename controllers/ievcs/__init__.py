"""Four stages from day-ahead to real time for a station with V2G and a building (Yan & Tu 2022)."""
