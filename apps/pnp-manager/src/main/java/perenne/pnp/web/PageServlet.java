package perenne.pnp.web;

import jakarta.inject.Inject;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.stream.Stream;
import perenne.pnp.Health;
import perenne.pnp.Node;
import perenne.pnp.store.DatabaseUnavailable;

/** What the servlets that answer with pages have in common. */
abstract class PageServlet extends HttpServlet {

    private static final long serialVersionUID = 1;
    private static final Logger LOG = Logger.getLogger(PageServlet.class.getName());

    @Inject
    private transient Health health;

    @Override
    protected void service(HttpServletRequest request, HttpServletResponse response) throws ServletException, IOException {
        try {
            super.service(request, response);
        } catch (DatabaseUnavailable unavailable) {
            LOG.log(Level.WARNING, "the database does not answer: {0}", String.valueOf(unavailable.getCause()));
            response.setIntHeader("Retry-After", 1);
            response.sendError(HttpServletResponse.SC_SERVICE_UNAVAILABLE);
        }
    }

    /** The parts of the address after the servlet's own: {@code /people/1/delete} has 1 and delete. */
    static List<String> path(HttpServletRequest request) {
        return request.getPathInfo() == null
                ? List.of()
                : Stream.of(request.getPathInfo().split("/")).filter(part -> !part.isEmpty()).toList();
    }

    /** A parameter, stripped; empty when it was not sent. */
    static String parameter(HttpServletRequest request, String name) {
        String value = request.getParameter(name);
        return value == null ? "" : value.strip();
    }

    /** What a page shows around its content; makes no session. */
    Frame frame(HttpServletRequest request, String section) {
        return new Frame(request.getContextPath(), section, Draft.of(request), Node.NAME, health.recent(), Map.of());
    }

    static void send(HttpServletResponse response, int status, Html page) throws IOException {
        byte[] bytes = page.markup().getBytes(StandardCharsets.UTF_8);
        response.setStatus(status);
        response.setContentType("text/html; charset=utf-8");
        response.getOutputStream().write(bytes);
    }

    /**
     * Ends a POST: the browser goes on with a GET. The address has neither scheme nor host, which only the balancer in front
     * knows ({@code sendRedirect} would put in this server's).
     */
    static void seeOther(HttpServletRequest request, HttpServletResponse response, String path) {
        response.setStatus(HttpServletResponse.SC_SEE_OTHER);
        response.setHeader("Location", request.getContextPath() + path);
    }
}
