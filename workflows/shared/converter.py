"""How payloads are decoded: what a newer version stored is kept, and written back."""

import dataclasses
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import PydanticJSONPlainPayloadConverter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadCodec,
)

from railmend.contracts.base import stored


class StoredJson(PydanticJSONPlainPayloadConverter):
    """Pydantic's JSON, decoded as stored data."""

    def from_payload(self, payload: Payload, type_hint: type | None = None) -> Any:
        with stored():
            return super().from_payload(payload, type_hint)


class StoredPayloads(CompositePayloadConverter):
    """The default converters, with JSON decoded as stored data."""

    def __init__(self) -> None:
        json = StoredJson()
        super().__init__(
            *(
                json if isinstance(each, JSONPlainPayloadConverter) else each
                for each in DefaultPayloadConverter.default_encoding_payload_converters
            )
        )


CONVERTER = DataConverter(payload_converter_class=StoredPayloads)


def converter(codec: PayloadCodec | None) -> DataConverter:
    """With a codec the messages and stack traces of failures are payloads too, and so encrypted."""
    if codec is None:
        return CONVERTER
    return dataclasses.replace(
        CONVERTER,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
