"""application/x-recordio-protobuf: frames around protobuf messages of the type Record."""

import struct

MAGIC = 0xCED7230A
FEATURES, LABEL = 1, 2  # the maps of a Record


def read_features(body):
    """The vector `values` of each record."""
    return [outputs["values"] for outputs in read_records(body, FEATURES)]


def read_records(body, field):
    """Of each record one of its maps: names to lists of numbers.  The last of a name counts."""
    records = []
    while body:
        magic, length = struct.unpack_from("<II", body)
        if magic != MAGIC or len(body) < 8 + length:
            raise ValueError("not RecordIO")
        records.append(dict(_read_entry(value) for number, value in _fields(body[8:8 + length])
                            if number == field))
        body = body[8 + length + -length % 4:]
    return records


def write_records(records, reuses_buffer=False):
    """Frames with a dict of outputs each.  With reuses_buffer each has those before it, too."""
    body, message = b"", b""
    for outputs in records:
        if not reuses_buffer:
            message = b""
        for name, values in outputs.items():
            values = values if isinstance(values, list) else [values]
            tensor = _bytes_field(1, struct.pack(f"<{len(values)}f", *values))
            message += _bytes_field(LABEL, _bytes_field(1, name.encode())
                                    + _bytes_field(2, _bytes_field(2, tensor)))
        body += struct.pack("<II", MAGIC, len(message)) + message + bytes(-len(message) % 4)
    return body


def _read_entry(entry):
    parts = dict(_fields(entry))
    (kind, tensor), = _fields(parts[2])
    values = dict(_fields(tensor)).get(1, b"")
    code, size = {2: ("f", 4), 3: ("d", 8)}[kind]
    return parts[1].decode(), list(struct.unpack(f"<{len(values) // size}{code}", values))


def _fields(message):
    """Numbers and bytes; fields of other wire types do not come here."""
    fields, at = [], 0
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 != 2:
            raise ValueError("not a Record")
        length, at = _varint(message, at)
        if at + length > len(message):
            raise ValueError("a field is cut short")
        fields.append((tag >> 3, message[at:at + length]))
        at += length
    return fields


def _varint(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _bytes_field(number, content):
    length, head = len(content), bytearray([number << 3 | 2])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(head) + bytes([length]) + content
