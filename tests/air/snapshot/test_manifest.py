def test_a_key_that_cannot_be_encoded_is_an_unknown_key(tmp_path: Path) -> None:
    path = tmp_path / "S.manifest.json"
    for text in ('{"\\ud800":1}', '{"exchänge": "x"}'):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="unknown key"):
            read_manifest(path)
