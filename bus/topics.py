"""Topic names, derived from contract ids."""

from kernel.ids import ContractId

PREFIX = "nplusx."


def topic_of(contract: ContractId) -> str:
    """Name the topic of a contract."""
    return f"{PREFIX}{contract}"


def contract_of(topic: str) -> ContractId:
    """Name the contract that a topic is for."""
    return ContractId(topic.removeprefix(PREFIX))
