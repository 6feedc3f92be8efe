"""Who made a row, as messages say it."""

from penstock.admin.v1 import origin_pb2

from engine.records import Origin

ORIGINS = {Origin.CONFIG: origin_pb2.ORIGIN_CONFIG, Origin.API: origin_pb2.ORIGIN_API}
