"""A pretended ZooKeeper on a virtual clock: an ensemble, its sessions, and connections that break in every way.

`tree.py` is what one server knows, `ensemble.py` how several agree and what becomes of them, `wire.py` a client's
connection. `scheduler.zk.client.Client` stands on top of it unchanged, and with it everything that is built on clients.
"""
