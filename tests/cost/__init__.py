"""What a message costs: documents read and written, functions invoked, held against a budget."""
