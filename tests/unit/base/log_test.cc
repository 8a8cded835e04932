#include "base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace entrepot {
namespace {

class Log : public testing::Test {
 protected:
  Log() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
  }
  // All that was written, once the logger has gone.
  std::string text() {
    write_.reset();
    std::string all;
    char buffer[4096];
    ssize_t count;
    while ((count = ::read(read_.get(), buffer, sizeof buffer)) > 0)
      all.append(buffer, static_cast<size_t>(count));
    return all;
  }
  UniqueFd read_;
  UniqueFd write_;
};

TEST_F(Log, WritesLinesOfKeysAndValues) {
  {
    Logger logger({LogLevel::info, LogFormat::text, write_.get()});
    LogField fields[] = {{"status", int64_t{200}}, {"repository", "library/alpine"}, {"agent", "a \"b\""}};
    logger.write(LogLevel::info, "request", fields);
    logger.debug("not {}", "shown");
  }
  std::string line = text();
  EXPECT_NE(line.find(" info  request status=200 repository=library/alpine agent=\"a \\\"b\\\"\"\n"),
            std::string::npos)
      << line;
  EXPECT_EQ(line.find("shown"), std::string::npos);
}

TEST_F(Log, KeepsALineALineWhateverAClientSent) {
  {
    Logger logger({LogLevel::info, LogFormat::json, write_.get()});
    LogField fields[] = {{"agent", "\x1b[31m\"},{\"a\":\"\n\xff"}};
    logger.write(LogLevel::warn, "request", fields);
  }
  std::string line = text();
  EXPECT_NE(line.find("\"agent\":\"\\u001b[31m\\\"},{\\\"a\\\":\\\"\\u000a\\u00ff\""), std::string::npos)
      << line;
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
}

TEST_F(Log, DropsAndCountsWhenTheSinkIsBlockedAndStopsNevertheless) {
  ASSERT_EQ(fcntl(write_.get(), F_SETFL, O_NONBLOCK), 0);
  uint64_t dropped;
  {
    Logger logger({LogLevel::info, LogFormat::text, write_.get()});
    for (int i = 0; i < 30'000; ++i) logger.info("line {}", i);
    dropped = logger.dropped();
  }
  EXPECT_GT(dropped, 0u);
}

}  // namespace
}  // namespace entrepot
