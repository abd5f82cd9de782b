"""ZooKeeper: a client that fails fast, lease, election, epoch fence, advertisement."""
