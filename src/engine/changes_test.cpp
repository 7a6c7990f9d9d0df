#include "engine/changes.hpp"

#include <gtest/gtest.h>

namespace coffer::engine {
namespace {

using Words = std::vector<std::string>;

oci::RunConfig apply(const Words& changes) {
    oci::RunConfig config;
    MUST(apply_changes(changes, config));
    return config;
}

TEST(Changes, commands_in_both_forms) {
    const auto config = apply({R"(CMD ["a", "b c"])", "entrypoint echo $HOME  x"});
    EXPECT_EQ(*config.cmd, (Words{"a", "b c"}));
    EXPECT_EQ(*config.entrypoint, (Words{"/bin/sh", "-c", "echo $HOME  x"}));
}

TEST(Changes, entrypoint_clears_an_inherited_command_only) {
    oci::RunConfig config;
    config.cmd = Words{"old"};
    MUST(apply_changes({"ENTRYPOINT [\"x\"]"}, config));
    EXPECT_FALSE(config.cmd);
}

TEST(Changes, env_with_quotes_and_variables) {
    const auto config = apply({"ENV A=1 B='x $A' C=\"y $A\\\"\"", "ENV D rest of ${A} line",
                               "ENV A=2", "LABEL l=\"v w\""});
    EXPECT_EQ(config.env, (Words{"A=2", "B=x $A", "C=y \"", "D=rest of 1 line"}));
    EXPECT_EQ(config.labels.at("l"), "v w");
}

TEST(Changes, ports_and_the_rest) {
    const auto config =
        apply({"EXPOSE 80 53/udp 8000-8002/tcp", "USER 1000:1000", "WORKDIR /a", "WORKDIR b",
               "VOLUME [\"/v\"]", "VOLUME /w /x", "STOPSIGNAL SIGINT", "ONBUILD RUN x",
               "HEALTHCHECK --interval=5s --retries=2 CMD test -f /x"});
    EXPECT_EQ(config.exposed_ports.size(), 5U);
    EXPECT_TRUE(config.exposed_ports.contains("8002/tcp"));
    EXPECT_EQ(config.user, "1000:1000");
    EXPECT_EQ(config.working_dir, "/a/b");
    EXPECT_EQ(config.volumes.size(), 3U);
    EXPECT_EQ(config.on_build, Words{"RUN x"});
    EXPECT_EQ(config.healthcheck->test, (Words{"CMD-SHELL", "test -f /x"}));
    EXPECT_EQ(config.healthcheck->interval, 5'000'000'000);
    EXPECT_EQ(config.healthcheck->retries, 2);
}

TEST(Changes, what_is_refused) {
    const auto refusal = [](const std::string& change) {
        oci::RunConfig config;
        const auto done = apply_changes({change}, config);
        return done ? std::string("accepted") : done.error().message;
    };
    EXPECT_EQ(refusal("run x"), "RUN is not a valid change command");
    for (const char* bad : {"", "ENV", "ENV A", "ENV =x", "ENV A='x", "EXPOSE 0", "EXPOSE 70000",
                            "EXPOSE 9-8", "EXPOSE 80/icmp", "HEALTHCHECK CMD",
                            "HEALTHCHECK --retries=0 CMD x", "HEALTHCHECK --x=1 CMD y"})
        EXPECT_NE(refusal(bad), "accepted") << bad;
}

}  // namespace
}  // namespace coffer::engine
