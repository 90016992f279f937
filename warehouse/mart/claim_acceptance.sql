/*---
id: claim_acceptance
title: {zh: 申报项目验收, en: Acceptance of projects that are claimed for}
grain: one row per claim
keys: [claim_id]
reads: [core__retrofit_acceptance, core__retrofit_invoice_line]
---*/
select
    claims.claim_id, acceptance.project_id, acceptance.accepted_on, acceptance.outcome, acceptance.reviewer,
    acceptance._origin as origin
from core__retrofit_acceptance as acceptance
inner join (
    select distinct claim_id, project_id, _enterprise
    from core__retrofit_invoice_line
) as claims on acceptance.project_id = claims.project_id and acceptance._enterprise = claims._enterprise
