/*---
id: claim_project
title: {zh: 申报项目, en: Projects that are claimed for}
grain: one row per claim
keys: [claim_id]
reads: [core__retrofit_project, core__retrofit_invoice_line]
---*/
select
    claims.claim_id, project.project_id, project.enterprise_uscc, project.programme, project.title, project.batch,
    project.filed_on, project.contract_signed_on, project.finished_on, project.granted_before_cny,
    project.other_awards_cny, project._origin as origin
from core__retrofit_project as project
inner join (
    select distinct claim_id, project_id, _enterprise
    from core__retrofit_invoice_line
) as claims on project.project_id = claims.project_id and project._enterprise = claims._enterprise
