package perenne.pnp.store;

/** The database did not answer, or is changing its primary; the same request may succeed later. */
public class DatabaseUnavailable extends RuntimeException {

    private static final long serialVersionUID = 1;

    public DatabaseUnavailable(Throwable cause) {
        super("the database does not answer", cause);
    }
}
