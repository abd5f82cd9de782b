"""Several schedulers over one pretended ZooKeeper: they elect, follow, take over, are frozen, cut off and killed.

The production code of a scheduler runs here from the client's session up: changelog, election, lease, `leadership`, the
driver. Pretended are the ensemble, the network, the engine, the disk of the checkpoint, and everybody who calls.
"""
