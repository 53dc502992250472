"""What the person whose voice it is may see and do."""
