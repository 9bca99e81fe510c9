"""What serves an exported model, and a client of it; needs nothing of pan_tf."""
