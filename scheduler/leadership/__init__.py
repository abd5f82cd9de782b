"""How a scheduler comes to lead, and how it stops: alone on its own disk, or elected among others in ZooKeeper."""
