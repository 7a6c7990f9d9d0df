#include "oci/image_spec.hpp"

#include <gtest/gtest.h>

namespace coffer::oci {

namespace {

const std::string kDigest = "sha256:" + std::string(64, '0');
const std::string kBlob = R"({"mediaType":"m","digest":")" + kDigest + R"(","size":3})";
const std::string kManifestText =
    R"({"schemaVersion":2,"config":)" + kBlob + R"(,"layers":[)" + kBlob + "]}";
const std::string kIndexText = R"({"schemaVersion":2,"manifests":[)" + kBlob + "]}";

std::string with(std::string text, const std::string& member) {
    text.back() = ',';
    return text + member + "}";
}

template <class T>
std::string why(const Result<T>& result) {
    return result ? "no error" : result.error().message;
}

TEST(Manifest, IsReadAndWrittenAgain) {
    const auto manifest = parse_manifest(kManifestText, media_type::kManifest);
    ASSERT_TRUE(manifest) << why(manifest);
    EXPECT_EQ(manifest->layers.at(0).digest, kDigest);
    EXPECT_EQ(json::encode(*manifest), kManifestText);
    EXPECT_TRUE(parse_manifest(kManifestText, ""));
    EXPECT_TRUE(parse_manifest(kManifestText, "application/json; charset=utf-8"));
    EXPECT_TRUE(parse_manifest(
        with(kManifestText, R"("mediaType":")" + std::string(media_type::kDockerManifest) + "\""),
        media_type::kDockerManifest));
}

TEST(Manifest, IsRefusedWhenAmbiguous) {
    EXPECT_EQ(why(parse_manifest(with(kManifestText, R"("manifests":[])"), media_type::kManifest)),
              "invalid image manifest: a manifest that also has \"manifests\" is ambiguous");
    EXPECT_EQ(why(parse_manifest(with(kManifestText, R"("MANIFESTS":[])"), media_type::kManifest)),
              "invalid image manifest: a manifest that also has \"manifests\" is ambiguous");
    EXPECT_EQ(why(parse_manifest(with(kManifestText, R"("manifests":[])"), "")),
              "invalid image manifest: neither a manifest nor an index, or both");
    EXPECT_EQ(why(parse_manifest(with(kManifestText, R"("Layers":[])"), media_type::kManifest)),
              "invalid image manifest: members \"layers\" and \"Layers\" differ only in case");
    EXPECT_EQ(why(parse_index(with(kIndexText, R"("layers":[])"), media_type::kIndex)),
              "invalid image index: an index that also has \"layers\" is ambiguous");
    const std::string says_index =
        with(kManifestText, R"("mediaType":")" + std::string(media_type::kIndex) + "\"");
    EXPECT_FALSE(parse_manifest(says_index, media_type::kManifest));
    EXPECT_FALSE(parse_manifest(says_index, ""));
    EXPECT_FALSE(parse_manifest(kManifestText, media_type::kIndex));
    EXPECT_FALSE(parse_index(kIndexText, media_type::kManifest));
    EXPECT_FALSE(parse_manifest(kManifestText, "application/vnd.example+json"));
    EXPECT_FALSE(parse_manifest(with(kManifestText, R"("mediaType":3)"), ""));
}

TEST(Manifest, IsRefusedWhenBroken) {
    const auto changed = [](const std::string& from, const std::string& to) {
        std::string text = kManifestText;
        return parse_manifest(text.replace(text.find(from), from.size(), to), "");
    };
    EXPECT_EQ(why(changed("\"schemaVersion\":2", "\"schemaVersion\":1")),
              "invalid image manifest: schemaVersion 1 is not 2");
    EXPECT_EQ(why(changed("\"schemaVersion\":2,", "")), "invalid image manifest: no schemaVersion");
    EXPECT_EQ(why(changed("\"size\":3", "\"size\":-3")),
              "invalid image manifest: config: negative size");
    EXPECT_EQ(why(changed(kDigest, "sha256:../../x")),
              "invalid image manifest: config: invalid digest \"sha256:../../x\"");
    EXPECT_FALSE(changed("\"size\":3", "\"size\":1e30"));
    for (const std::string_view text : {"", "[]", "null", "\"x\"", "{}", "{\"schemaVersion\":2}"})
        EXPECT_FALSE(parse_manifest(text, media_type::kManifest)) << text;
}

TEST(Index, IsToldFromAManifest) {
    EXPECT_TRUE(*is_index(kIndexText, ""));
    EXPECT_FALSE(*is_index(kManifestText, ""));
    EXPECT_TRUE(*is_index(kIndexText, media_type::kDockerManifestList));
    EXPECT_FALSE(is_index("{}", ""));
    const auto index = parse_index(
        R"({"schemaVersion":2,"manifests":[{"mediaType":"m","digest":")" + kDigest +
            R"(","size":1,"platform":{"architecture":"arm","os":"linux","os.version":"1",)"
            R"("variant":"v7"}}]})",
        "");
    ASSERT_TRUE(index) << why(index);
    EXPECT_EQ(index->manifests[0].platform->variant, "v7");
    EXPECT_EQ(index->manifests[0].platform->os_version, "1");
}

TEST(ImageConfig, IsRead) {
    const std::string text =
        R"({"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z",)"
        R"("config":{"User":"1","ExposedPorts":{"80/tcp":{}},"Env":["A=b"],"Entrypoint":["/e"],)"
        R"("Cmd":["c"],"Healthcheck":{"Test":["NONE"]},"WorkingDir":"/w","Labels":{"a":"b"},)"
        R"("StopSignal":"SIGINT"},"rootfs":{"type":"layers","diff_ids":[")" +
        kDigest + R"("]},"history":[{"created_by":"x","empty_layer":true}]})";
    const auto config = parse_image_config(text);
    ASSERT_TRUE(config) << why(config);
    EXPECT_EQ(config->config.entrypoint, std::vector<std::string>{"/e"});
    EXPECT_TRUE(config->config.exposed_ports.contains("80/tcp"));
    EXPECT_TRUE(config->history[0].empty_layer);
    EXPECT_TRUE(parse_image_config(
        R"({"architecture":"amd64","os":"linux","config":null,"rootfs":{"type":"layers",)"
        R"("diff_ids":null}})"));
    EXPECT_FALSE(parse_image_config("{}"));
    EXPECT_FALSE(parse_image_config(
        R"({"architecture":"a","os":"linux","rootfs":{"type":"layers","diff_ids":["../x"]}})"));
    EXPECT_FALSE(
        parse_image_config(R"({"architecture":"a","os":"linux","rootfs":{"type":"squash"}})"));
}

TEST(Platform, IsParsedAndNormalised) {
    const auto text = [](std::string_view given) {
        const auto platform = parse_platform(given);
        return platform ? to_string(*platform) : platform.error().message;
    };
    const std::string host = host_platform().architecture;
    EXPECT_EQ(text("linux"), "linux/" + host);
    EXPECT_EQ(text("arm64"), "linux/arm64");
    EXPECT_EQ(text("linux/arm64/v8"), "linux/arm64");
    EXPECT_EQ(text("linux/aarch64"), "linux/arm64");
    EXPECT_EQ(text("Linux/x86_64"), "linux/amd64");
    EXPECT_EQ(text("linux/arm"), "linux/arm/v7");
    EXPECT_EQ(text("linux/arm/6"), "linux/arm/v6");
    EXPECT_EQ(text("armhf"), "linux/arm/v7");
    EXPECT_EQ(text("linux/i386"), "linux/386");
    EXPECT_EQ(text("linux/amd64/v3"), "linux/amd64/v3");
    EXPECT_EQ(text("beos"), "\"beos\": unknown operating system or architecture");
    for (const std::string_view bad : {"", "linux/", "/amd64", "linux/amd64/v1/x", "linux/am d64"})
        EXPECT_FALSE(parse_platform(bad)) << bad;
}

TEST(Platform, PrefersTheClosestVariant) {
    const auto score = [](std::string_view wanted, std::string_view image) {
        return match_platform(*parse_platform(wanted), *parse_platform(image));
    };
    EXPECT_GT(score("linux/amd64", "linux/amd64"), score("linux/amd64", "linux/386"));
    EXPECT_GT(score("linux/amd64", "linux/386"), 0);
    EXPECT_EQ(score("linux/amd64", "linux/arm64"), 0);
    EXPECT_EQ(score("linux/amd64", "windows/amd64"), 0);
    EXPECT_EQ(score("linux/amd64", "linux/amd64/v3"), 0);
    EXPECT_GT(score("linux/amd64/v3", "linux/amd64/v2"), score("linux/amd64/v3", "linux/amd64"));
    EXPECT_GT(score("linux/amd64/v3", "linux/amd64"), 0);
    EXPECT_GT(score("linux/arm/v7", "linux/arm/v7"), score("linux/arm/v7", "linux/arm/v6"));
    EXPECT_EQ(score("linux/arm/v6", "linux/arm/v7"), 0);
    EXPECT_GT(score("linux/arm64", "linux/arm64/v8"), 0);
    EXPECT_EQ(score("linux/amd64", "unknown/unknown"), 0);
    EXPECT_GT(score("linux/arm/v7", "linux/arm/v6"), score("linux/arm/v7", "linux/arm/v5"));
    EXPECT_GT(score("linux/amd64/v4", "linux/amd64/v3"), score("linux/amd64/v4", "linux/amd64/v2"));
    EXPECT_GT(score("linux/arm64", "linux/arm/v8"), score("linux/arm64", "linux/arm/v7"));
    EXPECT_LT(score("linux/arm64", "linux/arm/v8"), kSameArchitecture);
    EXPECT_GE(score("linux/arm/v7", "linux/arm/v5"), kSameArchitecture);
    EXPECT_EQ(score("linux/arm/v7", "linux/arm64"), 0);
    EXPECT_EQ(match_platform({}, {}), match_platform(normalise({}), {}));
    EXPECT_GT(match_platform(host_platform(), host_platform()), 0);
}

TEST(Platform, VersionAndFeaturesOfTheSystem) {
    const auto score = [](const std::string& wanted, const std::string& image) {
        const auto decode = [](const std::string& members) {
            return *json::decode<Platform>(R"({"os":"windows","architecture":"amd64")" + members +
                                           "}");
        };
        return match_platform(decode(wanted), decode(image));
    };
    EXPECT_GT(score("", R"(,"os.version":"10.0.1")"), 0);
    EXPECT_GT(score(R"(,"os.version":"10.0.1")", R"(,"os.version":"10.0.1")"), 0);
    EXPECT_EQ(score(R"(,"os.version":"10.0.2")", R"(,"os.version":"10.0.1")"), 0);
    EXPECT_EQ(score("", R"(,"os.features":["win32k"])"), 0);
    EXPECT_GT(score(R"(,"os.features":["win32k","x"])", R"(,"os.features":["win32k"])"), 0);
}

TEST(Attestation, NamesWhatItIsAbout) {
    const std::string digest = "sha256:" + std::string(64, 'a');
    Descriptor entry;
    EXPECT_EQ(attested_by(entry), "");
    entry.annotations = {{"vnd.docker.reference.type", "attestation-manifest"},
                         {"vnd.docker.reference.digest", digest}};
    EXPECT_EQ(attested_by(entry), digest);
    entry.annotations["vnd.docker.reference.digest"] = "sha256:../x";
    EXPECT_EQ(attested_by(entry), "");
    entry.annotations = {{"vnd.docker.reference.digest", digest}};
    EXPECT_EQ(attested_by(entry), "");
}

}  // namespace

}  // namespace coffer::oci
