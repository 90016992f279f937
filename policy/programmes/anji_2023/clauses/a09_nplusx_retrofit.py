"""Article 9: a share of accepted N+X spending, up to a ceiling for each enterprise."""

from datetime import date
from decimal import Decimal

from kernel.ids import ClauseId
from kernel.money import NOTHING
from kernel.span import Span
from policy.lang import Case, Clause


def nplusx_retrofit(case: Case) -> Decimal:
    """Grant the enterprise's share of eligible spending, within what its ceiling leaves."""
    if not (case.holds("is_above_scale") and case.holds("is_accepted")):
        return NOTHING
    if case.holds("is_first_batch_sample"):
        share = case.parameter("first_batch_share")
    else:
        share = case.parameter("expansion_share")
    # The ceiling is per enterprise, not per project, so earlier grants use it up.
    left = case.parameter("ceiling_cny") - case.amount("granted_before_cny")
    return case.round_fen(min(share * case.amount("eligible_spend_cny"), max(left, NOTHING)))


WORDINGS = (
    Clause(
        id=ClauseId("anji_2023.a09_nplusx_retrofit"),
        target="S0-C24",
        article="十条（九）",
        text=(
            "全力支持规上企业数字化改造，对采用N+X模式建设并通过验收，第一批样本试点企业补贴50%，"
            "扩面企业补贴25%（投入主要包括“N+X”应用APP软件和配套硬件费用：软件费用指覆盖ERP、MES、"
            "SRM等场景轻量级软件投入；配套硬件主要包括数据采集、边缘计算设备、网络及连接设备等承载"
            "数字化系统软件使用的设备以及为承载数字化系统软件开展的设备智能化改造），"
            "单个企业最高不超过30万元。"
        ),
        in_force=Span(date(2023, 1, 1), date(2026, 1, 1)),
        apply=nplusx_retrofit,
    ),
)
