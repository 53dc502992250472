"""The product's engine: Qwen3-TTS through the `qwen-tts` package (Apache-2.0), for now one request at a time."""
