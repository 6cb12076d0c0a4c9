package perenne.pnp.store;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;

class TurnstileTest {

    private static final int CROWD = 20;

    private String state = "08001";
    private final AtomicBoolean away = new AtomicBoolean(true);
    private final AtomicInteger looking = new AtomicInteger();
    private final AtomicInteger mostAtOnce = new AtomicInteger();
    private final Turnstile turnstile = new Turnstile(pool());

    @Test
    void onlyOneLooksWhileTheDatabaseIsAway() throws Exception {
        assertThrows(SQLException.class, () -> turnstile.connection(in(Duration.ofSeconds(1))));
        mostAtOnce.set(0);
        CountDownLatch tried = new CountDownLatch(CROWD);
        ExecutorService crowd = Executors.newFixedThreadPool(CROWD);
        try {
            List<Future<Connection>> served = new ArrayList<>();
            for (int i = 0; i < CROWD; i++) {
                served.add(crowd.submit(() -> untilServed(tried)));
            }
            tried.await();
            assertEquals(1, mostAtOnce.get());
            away.set(false);
            for (Future<Connection> one : served) {
                one.get();
            }
        } finally {
            crowd.shutdownNow();
        }
    }

    @Test
    void givesUpAtTheDeadline() {
        assertThrows(SQLException.class, () -> turnstile.connection(in(Duration.ofSeconds(1))));
        assertThrows(SQLException.class, () -> turnstile.connection(in(Duration.ZERO)));
    }

    @Test
    void poolThatIsUsedUpClosesNothing() {
        state = null;
        assertThrows(SQLException.class, () -> turnstile.connection(in(Duration.ofSeconds(1))));
        assertFalse(turnstile.isClosed());
    }

    @Test
    void opensWithTheFirstConnection() throws SQLException {
        assertThrows(SQLException.class, () -> turnstile.connection(in(Duration.ofSeconds(1))));
        assertTrue(turnstile.isClosed());
        away.set(false);
        turnstile.connection(in(Duration.ofSeconds(1)));
        assertFalse(turnstile.isClosed());
    }

    private Connection untilServed(CountDownLatch tried) {
        for (boolean first = true; ; first = false) {
            try {
                return turnstile.connection(in(Duration.ofSeconds(10)));
            } catch (SQLException failure) {
                if (first) {
                    tried.countDown();
                }
            }
        }
    }

    private static long in(Duration patience) {
        return System.nanoTime() + patience.toNanos();
    }

    private DataSource pool() {
        return (DataSource) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {DataSource.class}, (self, method, arguments) -> {
                    mostAtOnce.accumulateAndGet(looking.incrementAndGet(), Math::max);
                    try {
                        if (away.get()) {
                            throw new SQLException("IJ000453: Unable to get managed connection", new SQLException("no primary", state));
                        }
                        return null;
                    } finally {
                        looking.decrementAndGet();
                    }
                });
    }
}
