"""Hosts on their way out of service: what people asked for, and emptying them without hurting anybody's SLA."""
