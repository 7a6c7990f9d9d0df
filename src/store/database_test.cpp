#include "store/database.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "sys/file.hpp"

namespace coffer::store {
namespace {

using ::testing::HasSubstr;

class DatabaseTest : public ::testing::Test {
  protected:
    static sys::TempDir make_folder() { return MUST(sys::TempDir::create()); }
    std::unique_ptr<Database> open() { return MUST(Database::open(path_)); }

    sys::TempDir folder_ = make_folder();
    std::string path_ = folder_.path() + "/db";
};

constexpr std::array<std::string_view, 2> kSteps = {
    "CREATE TABLE t (name TEXT PRIMARY KEY, n INTEGER); CREATE INDEX i ON t (n);",
    "ALTER TABLE t ADD COLUMN extra TEXT;",
};

TEST_F(DatabaseTest, values_come_back_as_they_went_in) {
    const auto db = open();
    MUST(db->migrate("test", kSteps));
    const std::string bytes("a\0b", 3);
    MUST(db->run("INSERT INTO t (name, n, extra) VALUES (?, ?, ?)",
                 {bytes, std::int64_t{-5}, nullptr}));
    const auto row = MUST(db->first("SELECT name, n, extra FROM t"));
    ASSERT_TRUE(row);
    EXPECT_EQ(row->text(0), bytes);
    EXPECT_EQ(row->integer(1), -5);
    EXPECT_TRUE(row->is_null(2));
    EXPECT_EQ(row->text(2), "");
    EXPECT_FALSE(MUST(db->first("SELECT 1 FROM t WHERE n = ?", {7})));
}

TEST_F(DatabaseTest, migrations_run_once_and_in_order) {
    MUST(open()->migrate("test", std::span(kSteps).first(1)));
    const auto db = open();
    MUST(db->migrate("test", kSteps));
    MUST(db->migrate("test", kSteps));
    MUST(db->run("INSERT INTO t (name, n, extra) VALUES ('a', 1, 'x')"));
    const auto newer = db->migrate("test", std::span(kSteps).first(1));
    ASSERT_FALSE(newer);
    EXPECT_THAT(newer.error().message, HasSubstr("newer version"));
}

TEST_F(DatabaseTest, a_failed_migration_leaves_no_half) {
    const auto db = open();
    constexpr std::array<std::string_view, 1> kBad = {"CREATE TABLE u (x); CREATE NONSENSE;"};
    EXPECT_FALSE(db->migrate("bad", kBad));
    EXPECT_FALSE(db->query("SELECT * FROM u"));
}

TEST_F(DatabaseTest, an_uncommitted_transaction_is_undone) {
    const auto db = open();
    MUST(db->migrate("test", kSteps));
    {
        auto tx = MUST(db->begin());
        EXPECT_EQ(MUST(tx.run("INSERT INTO t (name) VALUES (?)", {"a"})), 1);
        EXPECT_EQ(MUST(tx.query("SELECT * FROM t")).size(), 1U);
    }
    EXPECT_EQ(MUST(db->query("SELECT * FROM t")).size(), 0U);
    auto tx = MUST(db->begin());
    MUST(tx.run("INSERT INTO t (name) VALUES (?)", {"a"}));
    MUST(tx.commit());
    EXPECT_EQ(MUST(db->query("SELECT * FROM t")).size(), 1U);
}

TEST_F(DatabaseTest, every_commit_reaches_the_disk_as_it_asks) {
    constexpr int kNormal = 1, kFull = 2;
    const auto db = open();
    MUST(db->migrate("test", kSteps));
    const auto in_force = [&] { return MUST(db->first("PRAGMA synchronous")).value().integer(0); };
    EXPECT_EQ(in_force(), kFull);
    MUST(db->run("INSERT INTO t (name) VALUES ('a')", {}, Durability::Later));
    EXPECT_EQ(in_force(), kNormal);
    {
        Transaction tx = MUST(db->begin());
        EXPECT_EQ(MUST(tx.first("PRAGMA synchronous")).value().integer(0), kFull);
        MUST(tx.commit());
    }
    MUST(db->begin(Durability::Later));
    EXPECT_EQ(in_force(), kNormal);
    MUST(db->run("DELETE FROM t"));
    EXPECT_EQ(in_force(), kFull);
}

TEST_F(DatabaseTest, a_duplicate_is_a_conflict) {
    const auto db = open();
    MUST(db->migrate("test", kSteps));
    MUST(db->run("INSERT INTO t (name) VALUES ('a')"));
    EXPECT_EQ(db->run("INSERT INTO t (name) VALUES ('a')").error().code, Code::Conflict);
    EXPECT_FALSE(db->run("INSERT INTO t (name) VALUES (?)"));  // a parameter too few
}

TEST_F(DatabaseTest, a_damaged_file_is_named) {
    MUST(sys::write_file(path_, std::string(8192, 'x')));
    const auto opened = Database::open(path_);
    ASSERT_FALSE(opened);
    EXPECT_THAT(opened.error().message, HasSubstr(path_));
    EXPECT_THAT(opened.error().message, HasSubstr("not a database"));
}

}  // namespace
}  // namespace coffer::store
