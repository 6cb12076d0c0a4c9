package perenne.pnp;

/** The application server that this code runs on. */
public final class Node {

    /** WildFly's {@code jboss.node.name}: what the balancer calls the route. */
    public static final String NAME = System.getProperty("jboss.node.name", "unnamed");

    private Node() {}
}
