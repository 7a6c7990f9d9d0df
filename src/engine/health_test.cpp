#include "engine/health.hpp"

#include <gtest/gtest.h>

namespace coffer::engine {
namespace {

using std::chrono::seconds;

api::ContainerConfig checked(api::Strings test) {
    api::ContainerConfig config;
    config.healthcheck.emplace();
    config.healthcheck->test = std::move(test);
    return config;
}

std::string refused(api::ContainerConfig config) {
    const auto prepared = prepare_health(config);
    return prepared ? "" : prepared.error().message;
}

TEST(HealthProbe, forms_of_a_test) {
    EXPECT_EQ((*probe_of(checked({"CMD", "a", "b"})))->command, (api::Strings{"a", "b"}));
    EXPECT_EQ((*probe_of(checked({"CMD-SHELL", "a b"})))->command,
              (api::Strings{"/bin/sh", "-c", "a b"}));
    EXPECT_FALSE(*probe_of(checked({"NONE"})));
    EXPECT_FALSE(*probe_of(checked({})));
    const HealthProbe tcp = **probe_of(checked({"TCP", "5432"}));
    EXPECT_TRUE(tcp.command.empty() && tcp.host.empty() && tcp.path.empty());
    EXPECT_EQ(tcp.port, 5432);
    const HealthProbe http = **probe_of(checked({"HTTP", "http://:8080/healthz?a=b"}));
    EXPECT_EQ(http.port, 8080);
    EXPECT_EQ(http.path, "/healthz?a=b");
    EXPECT_EQ((**probe_of(checked({"HTTP", "http://localhost"}))).port, 80);
    EXPECT_EQ((**probe_of(checked({"HTTP", "http://[::1]:81"}))).host, "::1");
    EXPECT_EQ((**probe_of(checked({"HTTP", "http://[::1]"}))).path, "/");
}

TEST(HealthProbe, what_is_refused) {
    EXPECT_NE(refused(checked({"curl", "x"})), "");
    EXPECT_NE(refused(checked({"CMD"})), "");
    EXPECT_NE(refused(checked({"TCP", "0"})), "");
    EXPECT_NE(refused(checked({"TCP", "db:5432"})), "");
    EXPECT_NE(refused(checked({"HTTP", "https://:1/"})), "");
    EXPECT_NE(refused(checked({"HTTP", "http://:1/a\r\nb"})), "");
    api::ContainerConfig config = checked({"CMD", "true"});
    config.healthcheck->interval = 999'999;
    EXPECT_EQ(refused(config), "Interval in Healthcheck cannot be less than 1ms");
    config.healthcheck->interval = 0;
    config.healthcheck->retries = -1;
    EXPECT_EQ(refused(config), "Retries in Healthcheck cannot be negative");
    config.healthcheck->retries = 0;
    EXPECT_EQ(refused(config), "");
    config.labels["coffer.health.on-failure"] = "panic";
    EXPECT_NE(refused(config), "");
}

TEST(HealthProbe, labels_fill_in) {
    api::ContainerConfig config;
    config.labels["coffer.health.tcp"] = "80";
    config.labels["coffer.health.on-failure"] = "restart";
    ASSERT_TRUE(prepare_health(config));
    EXPECT_EQ(config.healthcheck->test, (api::Strings{"TCP", "80"}));
    EXPECT_EQ(health_action(config), HealthAction::Restart);
}

TEST(Health, status_follows_the_results) {
    api::ContainerConfig config = checked({"CMD", "x"});
    config.healthcheck->retries = 2;
    config.healthcheck->start_period = 10'000'000'000;
    api::Health health;
    health.status = "starting";
    const auto note = [&](std::int64_t code, seconds since) {
        api::HealthLog result;
        result.exit_code = code;
        note_result(health, config, result, since);
        return health.status;
    };
    EXPECT_EQ(note(1, seconds(1)), "starting");
    EXPECT_EQ(note(1, seconds(2)), "starting");
    EXPECT_EQ(health.failing_streak, 0);
    EXPECT_EQ(note(1, seconds(10)), "starting");
    EXPECT_EQ(note(1, seconds(11)), "unhealthy");
    EXPECT_EQ(note(0, seconds(12)), "healthy");
    EXPECT_EQ(health.failing_streak, 0);
    EXPECT_EQ(note(1, seconds(13)), "healthy");
    EXPECT_EQ(note(-1, seconds(14)), "unhealthy");
    EXPECT_EQ(health.log.size(), 5U);
}

}  // namespace
}  // namespace coffer::engine
