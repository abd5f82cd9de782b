"""Pure decisions: functions over immutable records, without clock, input, output, threads or chance."""
