"""The product's engine: Qwen3-TTS through the `qwen-tts` package (Apache-2.0), one request at a time in this
form.
"""
