"""A local CRM, ERP, chat, mail box and webhook sink, so that the whole loop runs and is tested without an account."""
