"""What must hold, one property a file. Each check is told what happens and raises `Broken` when it must not have."""
