"""What `make bench` judges by."""
