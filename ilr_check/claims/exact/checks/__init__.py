"""What several exact claims compute of one example."""
