"""Topic names, derived from contract ids."""

from kernel.ids import ContractId

PREFIX = "nplusx."
# Offsets begin again in a topic that was made anew: what was read from it bears its generation.
_GENERATION = "~"


def topic_of(contract: ContractId) -> str:
    """Name the topic of a contract."""
    return f"{PREFIX}{contract}"


def contract_of(topic: str) -> ContractId:
    """Name the contract that a topic, of whatever generation, is for."""
    return ContractId(topic.removeprefix(PREFIX).split(_GENERATION, 1)[0])


def filed_as(topic: str, generation: int) -> str:
    """Name a topic so that its offsets are never taken for those of an earlier one."""
    return topic if generation == 1 else f"{topic}{_GENERATION}{generation}"
