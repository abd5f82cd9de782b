"""All HTTP that is not Thrift: Aurora's endpoints, metrics, pages, event stream."""
