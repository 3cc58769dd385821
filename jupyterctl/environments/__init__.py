"""Python environments on this machine: finding, activating and making them."""
