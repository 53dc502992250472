"""The product's engine: Qwen3-TTS on the weights and modules of `qwen-tts` (Apache-2.0), batched frame by frame."""
