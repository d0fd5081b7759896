"""What the console's screens show: each reads its data in a few queries, however many rows there are."""
