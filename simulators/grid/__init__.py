"""The connection of a hub to the public grid."""
