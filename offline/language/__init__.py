"""The Python language host (`pulumi-language-python`): runs Python programs and policy packs for the engine.

The official one comes with Pulumi's own download only. The engine starts this one from the PATH and speaks
`pulumirpc.LanguageRuntime` with it.
"""
