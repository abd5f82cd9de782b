"""Aurora's pages for operators and scripts, beside the API: what the scheduler knows, as JSON or as plain tables.

`table.py` lists them. A page of the state is a function of the state and the policy (`cluster.py`, `consumption.py`,
`single.py`); `reading.py` asks for it and waits until what it says is durable, as for any answer; `writing.py` writes
it in slices. `process.py` is about this process. Source: Aurora's documentation, "Scheduler endpoints".
"""
