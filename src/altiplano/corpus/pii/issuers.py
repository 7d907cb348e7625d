# ruff: noqa: E501
"""Forms of the keys and tokens that services issue: prefix, alphabet and length, as the issuers publish them and secret
scanners (gitleaks, detect-secrets, TruffleHog) know them.
"""

import re

A = "[A-Za-z0-9]"
W = r"[\w-]"
HEX = "[0-9a-f]"
UUID = rf"{HEX}{{8}}-(?:{HEX}{{4}}-){{3}}{HEX}{{12}}"

ISSUED = {
    "1Password": rf"A3-[A-Z0-9]{{6}}-(?:[A-Z0-9]{{11}}|[A-Z0-9]{{6}}-[A-Z0-9]{{5}})(?:-[A-Z0-9]{{5}}){{3}}|ops_eyJ{W}{{100,900}}",
    "Adobe": rf"p8e-{A}{{32}}",
    "age": "AGE-SECRET-KEY-1[A-Z0-9]{58}",
    "Airtable": rf"pat{A}{{14}}\.{HEX}{{64}}",
    "Alibaba": rf"LTAI{A}{{12,26}}",
    "Amazon": rf"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{{16}}|ABSK{A}[A-Za-z0-9+/]{{100,268}}={{0,2}}",
    "Anthropic, OpenAI, OpenRouter, DeepSeek": rf"sk-(?:ant|proj|svcacct|admin|None|or|lf)-{W}{{20,280}}|sk-{A}{W}{{19,200}}",
    "Artifactory": rf"AKCp{A}{{60,75}}|cmVmd{A}{{59}}",
    "Atlassian": rf"AT[AC]TT3[\w=+/-]{{100,250}}|ATBB{A}{{24,40}}|BBDC-{A}{{40,50}}",
    "Azure": r"(?<![\w~.])[\w~.]{3}\dQ~[\w~.-]{31,34}",
    "Brevo": rf"xkeysib-{HEX}{{64}}-{A}{{16}}|xsmtpsib-{HEX}{{64}}-{A}{{16}}",
    "Buildkite": rf"bk[a-z]{{2}}_{HEX}{{40}}",
    "CircleCI": rf"CCIP[RA]T_{A}{{16,30}}_{HEX}{{40}}",
    "Clojars": "CLOJARS_[a-z0-9]{60}",
    "Cloudflare": rf"v1\.0-{HEX}{{24}}-{HEX}{{100,150}}|cf(?:ut|at|k)_{A}{{32,60}}",
    "Contentful": rf"CFPAT-{W}{{43}}",
    "Databricks": rf"dapi{HEX}{{32}}(?:-\d)?|dkea{HEX}{{32}}|dose{HEX}{{32}}",
    "DigitalOcean": rf"do[opr]_v1_{HEX}{{64}}",
    "Discord": rf"[MNO]{A}{{23,27}}\.{W}{{6}}\.{W}{{27,40}}",
    "Docker": rf"dckr_(?:pat|oat)_{W}{{20,60}}",
    "Doppler": rf"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{{2,35}}\.)?{A}{{40,44}}",
    "Dropbox": rf"sl\.(?:u\.)?{W}{{60,2000}}",
    "Duffel": r"duffel_(?:test|live)_[\w=-]{43}",
    "Dynatrace": r"dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "EasyPost": rf"EZ[AT]K{A}{{54}}",
    "Facebook": rf"EAA{A}{{60,400}}|\d{{15,16}}\|[\w-]{{27,40}}",
    "Figma": rf"fig[dou]r?_{W}{{36,60}}",
    "Flutterwave": rf"FLWSECK(?:_TEST)?-{A}{{12,40}}(?:-X)?",
    "Fly": rf"fo1_{W}{{43}}|fm[12][ar]?_[A-Za-z0-9+/]{{90,900}}={{0,3}}",
    "Frame.io": r"fio-u-[\w=-]{64}",
    "GitHub": rf"gh[pousr]_{A}{{30,255}}|github_pat_\w{{22,255}}",
    "GitLab": rf"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct|wt)-{W}{{20,300}}(?:\.[\w.]{{9,30}})?|GR1348941{W}{{20}}",
    "Google": rf"AIza{W}{{35}}|GOCSPX-{W}{{24,32}}|ya29\.{W}{{20,2000}}|1//0{W}{{30,200}}",
    "Grafana": r"gl(?:c|sa)_[\w+/=]{32,400}",
    "Groq": rf"gsk_{A}{{40,60}}",
    "Harness": rf"(?:pat|sat)\.{W}{{22}}\.{A}{{24}}\.{A}{{20}}",
    "HashiCorp": rf"hv[sbr]\.{W}{{24,300}}|{A}{{14}}\.atlasv1\.[\w=-]{{60,70}}",
    "Heroku": rf"HRKU-{W}{{32,64}}",
    "HubSpot": rf"pat-(?:na|eu|ap)\d-{UUID}",
    "Hugging Face": rf"hf_{A}{{30,40}}|api_org_{A}{{30,40}}",
    "Infracost": rf"ico-{A}{{32}}",
    "LaunchDarkly": rf"(?:sdk|api|mob)-{UUID}",
    "Linear": rf"lin_(?:api|oauth|wh)_{A}{{32,64}}",
    "Lob": rf"(?:live|test)_(?:pub_)?{HEX}{{31,35}}",
    "Mailchimp": rf"{HEX}{{32}}-us\d{{1,2}}",
    "Mailgun": rf"key-{HEX}{{32}}|{HEX}{{32}}-{HEX}{{8}}-{HEX}{{8}}",
    "Mapbox": rf"sk\.eyJ{W}{{20,200}}\.{W}{{20,40}}",
    "MaxMind": rf"{A}{{6}}_{A}{{29}}_mmk",
    "Netlify": rf"nf[a-z]_{A}{{36,44}}",
    "New Relic": rf"NR(?:AK|JS|II|IQ|RA|SP|MA|AA)-{W}{{19,64}}|{HEX}{{36}}NRAL",
    "Notion": rf"ntn_{A}{{40,60}}|secret_{A}{{43}}",
    "npm": rf"npm_{A}{{36}}",
    "NVIDIA": rf"nvapi-{W}{{50,80}}",
    "Octopus": r"API-[A-Z0-9]{26}",
    "OpenShift": rf"sha256~{W}{{43}}",
    "PayPal": rf"access_token\$(?:production|sandbox)\$[a-z0-9]{{16}}\${HEX}{{32}}",
    "Perplexity": rf"pplx-{A}{{40,56}}",
    "Plaid": rf"access-(?:sandbox|development|production)-{UUID}",
    "PlanetScale": r"pscale_(?:tkn|oauth|pw)_[\w=.-]{32,64}",
    "Postman": rf"PMAK-{HEX}{{24}}-{HEX}{{34}}|PMAT-[A-Z0-9]{{26}}",
    "Prefect": rf"pn[ub]_{A}{{36}}",
    "Pulumi": rf"pul-{HEX}{{40}}",
    "PyPI": rf"pypi-{W}{{50,1000}}",
    "Razorpay": rf"rzp_(?:live|test)_{A}{{14,24}}",
    "ReadMe": "rdme_[a-z0-9]{70}",
    "Replicate": rf"r8_{A}{{37,40}}",
    "RubyGems": rf"rubygems_{HEX}{{48}}",
    "Scalingo": rf"tk-us-{W}{{48}}",
    "SendGrid": rf"SG\.{W}{{16,32}}\.{W}{{16,64}}",
    "Sentry": r"sntry[su]_[\w+/=]{40,500}",
    "Shippo": r"shippo_(?:live|test)_[a-fA-F0-9]{40}",
    "Shopify": r"shp(?:at|ca|pa|ss|ua|rt)_[a-fA-F0-9]{32}",
    "Slack": rf"xox[abceoprs]-[A-Za-z0-9-]{{10,300}}|xoxe\.xox[bp]-\d-{A}{{60,200}}|xapp-\d-[A-Za-z0-9]+-\d+-[A-Za-z0-9]+"
    r"|hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{20,90}",
    "Sonar": rf"sq[pua]_{HEX}{{40}}",
    "Sourcegraph": rf"sgp_(?:(?:{HEX}{{16}}|local)_)?{HEX}{{40}}",
    "Square": rf"sq0[a-z]{{3}}-{W}{{22,60}}|EAAA{W}{{60}}",
    "Stripe": rf"[srp]k_(?:live|test|prod)_{A}{{14,250}}|whsec_[A-Za-z0-9+/=]{{24,64}}",
    "Supabase": rf"sbp_(?:v0_)?{HEX}{{40}}|sb_secret_{W}{{24,48}}",
    "Tailscale": rf"tskey-(?:[a-z]+-)?{A}{{8,24}}-{A}{{16,40}}",
    "Telegram": rf"\d{{8,10}}:A{W}{{34}}",
    "Tencent": rf"AKID{A}{{32,40}}",
    "Twilio": rf"(?:SK|AC){HEX}{{32}}",
    "Twitter": r"A{19,25}[A-Za-z0-9%]{40,140}",
    "Typeform": rf"tfp_{W}{{40,60}}",
    "Volcengine, Huawei, others": rf"AKLT{A}{{30,60}}",
    "webhooks": rf"discord(?:app)?\.com/api/webhooks/\d{{17,20}}/{W}{{40,90}}|{W}{{1,60}}\.webhook\.office\.com/webhookb2/[\w@/-]{{60,300}}",
    "WakaTime": rf"waka_{UUID}",
    "xAI": rf"xai-{A}{{60,90}}",
    "Yandex": rf"y[0-3]_{W}{{50,90}}|AQVN{W}{{35,38}}|t1\.[\w=-]{{40,300}}\.{W}{{80,90}}|YC{A}{{38}}",
    "Zapier": r"hooks\.zapier\.com/hooks/catch/\d{4,9}/\w{6,10}",
}  # fmt: skip

LABELLED = {
    "Azure": r"(?<=AccountKey=)[A-Za-z0-9+/]{40,100}={0,2}|(?<=SharedAccessKey=)[A-Za-z0-9+/]{30,100}={0,2}"
    r"|(?<=[?&;]sig=)[A-Za-z0-9%+/]{30,100}={0,2}",
    "signed requests": r"(?<=X-Amz-Signature=)[0-9a-f]{64}|(?<=X-Amz-Security-Token=)[A-Za-z0-9%+/=]{60,2000}"
    r"|(?<=Goog-Signature=)[0-9a-f]{64,1000}",
    "URLs": r"(?<=[?&]token=)[\w.~%-]{16,300}|(?<=[?&]key=)[\w-]{20,100}|(?<=[?&]access_token=)[\w.~%|-]{16,300}"
    r"|(?<=[?&]api_key=)[\w-]{12,100}|(?<=[?&]apikey=)[\w-]{12,100}|(?<=[?&]appid=)[0-9a-f]{32}",
    "_authToken": r"(?<=_authToken=)[\w-]{20,100}|(?<=_auth=)[A-Za-z0-9+/]{16,100}={0,2}",
}
"""Keys without a form of their own behind a parameter that names them."""

JWT = r"eyJ[A-Za-z0-9_-]{10,2000}+\.eyJ[A-Za-z0-9_-]{10,4000}+\.[A-Za-z0-9_-]{10,2000}"
KEY = re.compile(
    rf"(?<![A-Za-z0-9])(?<![-.](?=[a-z]))(?:{'|'.join((*ISSUED.values(), JWT))})(?![A-Za-z0-9_])|{'|'.join(LABELLED.values())}",
    re.ASCII,
)
LONG = 20
"""No key is shorter."""
