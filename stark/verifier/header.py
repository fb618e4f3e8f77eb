"""The header of a proof: what it claims to be. Every field is compared, none is believed.

magic "STARKprf" (8 bytes), format version (2, little-endian), protocol parameters (fixed length),
shape of the tables (2 + 14 bytes per table), digest of the verification key (32).
"""

from __future__ import annotations

from stark.errors import Code, Rejected
from stark.soundness.parameters import ENCODED_LENGTH, ProtocolParameters
from stark.transcript.encoding import DIGEST_SIZE, Reader
from stark.verifier.key import VerificationKey

MAGIC = b"STARKprf"
VERSION = 1
"""A proof of this version stays verifiable. Version 0 was that of previews, 0.x, and is refused."""


def encode_header(key: VerificationKey) -> bytes:
    return MAGIC + VERSION.to_bytes(2, "little") + key.parameters.encode() + key.shape + key.digest


def check_header(reader: Reader, key: VerificationKey) -> None:
    """Rejected unless the header is the one that ``key`` implies.

    Codes in order: Format (magic), Version, Suite and Params (values that are not legal), Policy
    (legal, but not the key's), Shape, VK.
    """
    magic = reader.take(len(MAGIC), "the magic")
    if magic != MAGIC:
        raise Rejected(Code.FORMAT, "the file is a STARK proof", MAGIC.hex(), magic.hex())
    version = int.from_bytes(reader.take(2, "the version"), "little")
    if version != VERSION:
        raise Rejected(Code.VERSION, "format version", VERSION, version)
    parameters = ProtocolParameters.decode(reader.take(ENCODED_LENGTH, "the parameters"))
    if parameters != key.parameters:
        raise Rejected(Code.POLICY, "protocol parameters", key.parameters, parameters)
    shape = reader.take(len(key.shape), "the table shapes")
    if shape != key.shape:
        raise Rejected(Code.SHAPE, "shape of the tables", key.shape.hex(), shape.hex())
    digest = reader.take(DIGEST_SIZE, "the key digest")
    if digest != key.digest:
        raise Rejected(Code.VK, "verification key", key.digest.hex(), digest.hex())
