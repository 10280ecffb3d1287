"""Conversations with people on the phone: dialogues as data, pure but for `runner`, `espeak` and `speech`.

Never imports `voice` or `config`: it knows a phone by its protocol (`phone.Phone`) and is handed the prompts.
"""
