"""What stands in for the cloud and the network on one machine: set-up, launcher, Cloud Tasks, identity, simulated network, demo."""
