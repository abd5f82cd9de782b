"""Thrift on either carrier: bytes in, records to the controller, records back, bytes out."""
