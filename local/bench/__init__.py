"""`make bench`: how fast the product is, each figure beside the floor that was measured in the same minute."""
