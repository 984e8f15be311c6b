"""EVs that come and go: who visits a hub, when, and who gets a connector."""
