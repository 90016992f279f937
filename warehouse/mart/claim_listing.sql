/*---
id: claim_listing
title: {zh: 申报企业名录, en: Listings of enterprises that claim}
grain: one row per claim and list year
keys: [claim_id, list_year]
reads: [core__gov_enterprise, mart__claim_project]
---*/
select
    claim.claim_id, listing.enterprise_uscc, listing.list_year, listing.region_code, listing.industry_code,
    listing.is_above_scale, listing._origin as origin
from core__gov_enterprise as listing
inner join mart__claim_project as claim on listing.enterprise_uscc = claim.enterprise_uscc
