"""What must stay up: policies, what they allow, and how well they are kept."""
