"""The rejection rules, a verdict per line of a frozen dossier."""
